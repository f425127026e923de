"""Let a signed-in person set a profile up in one step: `finalize_onboarding(payload jsonb)`.

One function for PostgREST's RPC, the command line and HTTP. All of it or nothing, and the same again when
it is called again: it is keyed on `profiles.auth_user_id`.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# A refusal as programs read it: PostgREST answers with the status in the code.
REFUSE = """
CREATE FUNCTION onboarding_refuses(field text, said text, fix text) RETURNS void
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%: %', field, said USING
        ERRCODE = 'PT422', HINT = fix,
        DETAIL = jsonb_build_object('code', 'invalid', 'field', field, 'fix', fix)::text;
END
$$
"""
# A value as text: numbers and truths may come as themselves or in quotes. NULL where it is not given.
GIVEN = """
CREATE FUNCTION onboarding_text(payload jsonb, field text, fix text) RETURNS text
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
    given constant jsonb := payload -> field;
BEGIN
    IF jsonb_typeof(given) IN ('object', 'array') THEN
        PERFORM onboarding_refuses(field, 'it is an ' || jsonb_typeof(given), fix);
    ELSIF length(given #>> '{{}}') > 200 THEN
        PERFORM onboarding_refuses(field, 'it is too long', fix);
    END IF;
    RETURN nullif(btrim(given #>> '{{}}'), '');
END
$$
"""
# A whole number between two bounds; NULL where it is not given.
WHOLE = """
CREATE FUNCTION onboarding_whole(payload jsonb, field text, most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
    fix constant text := 'a whole number from 0 to ' || most;
    said constant text := onboarding_text(payload, field, fix);
BEGIN
    IF said !~ '^[0-9]{{1,9}}$' OR said::numeric > most THEN
        PERFORM onboarding_refuses(field, quote_literal(left(said, 40)) || ' is out of range', fix);
    END IF;
    RETURN said::integer;
END
$$
"""
# Topics as a list of texts, or as one text with commas; NULL where they are not given.
TOPICS = """
CREATE FUNCTION onboarding_topics(given jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
    fix constant text := 'up to 50 topics of up to 100 characters, as a list or separated by commas';
    found jsonb;
BEGIN
    IF given IS NULL OR jsonb_typeof(given) = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(given) = 'string' THEN
        given := to_jsonb(string_to_array(given #>> '{{}}', ','));
    ELSIF jsonb_typeof(given) <> 'array' OR EXISTS (
        SELECT FROM jsonb_array_elements(given) AS one WHERE jsonb_typeof(one) <> 'string'
    ) THEN
        PERFORM onboarding_refuses('topics', 'they are no list of texts', fix);
    END IF;
    SELECT coalesce(jsonb_agg(btrim(one) ORDER BY place), '[]'::jsonb) INTO found
      FROM jsonb_array_elements_text(given) WITH ORDINALITY AS listed (one, place) WHERE btrim(one) <> '';
    IF jsonb_array_length(found) > 50 OR EXISTS (
        SELECT FROM jsonb_array_elements_text(found) AS one WHERE length(one) > 100
    ) THEN
        PERFORM onboarding_refuses('topics', 'they are too many or too long', fix);
    END IF;
    RETURN found;
END
$$
"""
# A field that nobody knows is a misspelt one: taken in silence, its default would hold unseen.
UNKNOWN = """
CREATE FUNCTION onboarding_knows(payload jsonb, part text, known text[]) RETURNS void
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
    odd text;
BEGIN
    IF jsonb_typeof(payload) <> 'object' THEN
        PERFORM onboarding_refuses(part, 'it is no object', 'an object with ' || array_to_string(known, ', '));
    END IF;
    SELECT min(key) INTO odd FROM jsonb_object_keys(payload) AS key WHERE key <> ALL (known);
    IF odd IS NOT NULL THEN
        PERFORM onboarding_refuses(
            left(odd, 40), 'nothing here is called so', 'known: ' || array_to_string(known, ', ')
        );
    END IF;
END
$$
"""
# The plan of a profile whose row the caller has locked.
PLAN = """
CREATE FUNCTION onboarding_plan(profile uuid, given jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = {schema}, pg_temp AS $$
DECLARE
    days constant text := 'a time like 08:00, day_starts before day_ends';
    posts constant integer := onboarding_whole(given, 'posts_per_day', 100);
    wanted constant jsonb := onboarding_topics(given -> 'topics');
    starts text := onboarding_text(given, 'day_starts', days);
    ends text := onboarding_text(given, 'day_ends', days);
    policy constant text := lower(onboarding_text(given, 'late_policy', 'move or expire'));
    tolerance constant integer := onboarding_whole(given, 'late_tolerance_seconds', 86400);
    spacing constant integer := onboarding_whole(given, 'spacing_seconds', 86400);
    links constant text := lower(onboarding_text(given, 'include_links', 'true or false'));
    before plans;
    plan plans;
BEGIN
    PERFORM onboarding_knows(given, 'plan', ARRAY['topics', 'posts_per_day', 'day_starts', 'day_ends',
        'late_policy', 'late_tolerance_seconds', 'spacing_seconds', 'include_links']);
    IF starts !~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$' THEN
        PERFORM onboarding_refuses('day_starts', quote_literal(left(starts, 40)) || ' is no time', days);
    ELSIF ends !~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$' THEN
        PERFORM onboarding_refuses('day_ends', quote_literal(left(ends, 40)) || ' is no time', days);
    ELSIF policy NOT IN ('move', 'expire') THEN
        PERFORM onboarding_refuses('late_policy', quote_literal(left(policy, 40)) || ' is none', 'move or expire');
    ELSIF links NOT IN ('true', 'false', 'yes', 'no') THEN
        PERFORM onboarding_refuses('include_links', quote_literal(left(links, 40)) || ' is neither', 'true or false');
    END IF;
    SELECT * INTO before FROM plans WHERE profile_id = profile AND status = 'active' FOR UPDATE;
    IF coalesce(starts::time, before.day_starts, '08:00') >= coalesce(ends::time, before.day_ends, '22:00') THEN
        PERFORM onboarding_refuses('day_ends', 'it is not after day_starts', days);
    END IF;
    IF before.id IS NULL THEN
        INSERT INTO plans (profile_id, status) VALUES (profile, 'active') RETURNING * INTO before;
    END IF;
    plan := before;
    plan.posts_per_day := coalesce(posts, before.posts_per_day);
    plan.topics := coalesce(wanted, before.topics);
    plan.day_starts := coalesce(starts::time, before.day_starts);
    plan.day_ends := coalesce(ends::time, before.day_ends);
    plan.late_policy := coalesce(policy::late_policy, before.late_policy);
    plan.late_tolerance_seconds := coalesce(tolerance, before.late_tolerance_seconds);
    plan.spacing_seconds := coalesce(spacing, before.spacing_seconds);
    plan.include_links := coalesce(links IN ('true', 'yes'), before.include_links);
    IF plan IS DISTINCT FROM before THEN
        UPDATE plans SET
            posts_per_day = plan.posts_per_day, topics = plan.topics, day_starts = plan.day_starts,
            day_ends = plan.day_ends, late_policy = plan.late_policy,
            late_tolerance_seconds = plan.late_tolerance_seconds, spacing_seconds = plan.spacing_seconds,
            include_links = plan.include_links
         WHERE id = before.id;
    END IF;
    -- What is planned by other hours is planned anew; drafts wait for the slots that come.
    IF (plan.posts_per_day, plan.day_starts, plan.day_ends)
       IS DISTINCT FROM (before.posts_per_day, before.day_starts, before.day_ends) THEN
        DELETE FROM posting_schedule WHERE plan_id = plan.id AND status = 'planned';
    END IF;
    RETURN jsonb_build_object(
        'id', plan.id, 'status', plan.status, 'topics', plan.topics, 'posts_per_day', plan.posts_per_day,
        'day_starts', to_char(plan.day_starts, 'HH24:MI'), 'day_ends', to_char(plan.day_ends, 'HH24:MI'),
        'late_policy', plan.late_policy, 'late_tolerance_seconds', plan.late_tolerance_seconds,
        'spacing_seconds', plan.spacing_seconds, 'include_links', plan.include_links
    );
END
$$
"""
# Runs as the tables' owner, for nobody else may write; whose profile it is, the verified token says.
FINALIZE = """
CREATE FUNCTION finalize_onboarding(payload jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    caller constant uuid := current_auth_user_id();
    given constant jsonb := coalesce(nullif(payload, 'null'::jsonb), '{{}}'::jsonb);
    names constant text := 'up to 15 letters, digits and underscores';
    modes constant text := 'auto, review or dry-run';
    wanted text;
    zone text;
    known_zone text;
    way text;
    voice jsonb;
    said jsonb;
    profile profiles;
BEGIN
    IF caller IS NULL THEN
        RAISE EXCEPTION 'finalize_onboarding requires authentication' USING
            ERRCODE = 'PT401', HINT = 'sign in: the token''s sub says whose profile it is',
            DETAIL = jsonb_build_object('code', 'unauthenticated', 'field', NULL, 'fix', 'sign in')::text;
    END IF;
    IF pg_column_size(given) > 65536 THEN
        PERFORM onboarding_refuses('payload', 'it is too long', 'up to 64 kB in all');
    END IF;
    PERFORM onboarding_knows(given, 'payload', ARRAY['handle', 'timezone', 'mode', 'persona', 'plan']);
    wanted := ltrim(onboarding_text(given, 'handle', names), '@');
    IF wanted !~ '^[A-Za-z0-9_]{{1,15}}$' THEN
        PERFORM onboarding_refuses('handle', quote_literal(left(wanted, 40)) || ' is no handle of X', names);
    END IF;
    zone := onboarding_text(given, 'timezone', 'an IANA name like Europe/Berlin');
    IF zone IS NOT NULL THEN
        SELECT name INTO known_zone FROM pg_timezone_names
         WHERE lower(name) = lower(zone) AND name !~ '^(posix|right)/' AND name NOT IN ('localtime', 'posixrules', 'Factory');
        IF known_zone IS NULL THEN
            PERFORM onboarding_refuses(
                'timezone', quote_literal(left(zone, 40)) || ' is no time zone', 'an IANA name like Europe/Berlin'
            );
        END IF;
    END IF;
    way := replace(lower(onboarding_text(given, 'mode', modes)), '_', '-');
    IF way NOT IN ('auto', 'review', 'dry-run') THEN
        PERFORM onboarding_refuses('mode', quote_literal(left(way, 40)) || ' is no mode', modes);
    END IF;
    voice := nullif(given -> 'persona', 'null'::jsonb);
    IF jsonb_typeof(voice) = 'string' THEN
        voice := jsonb_build_object('voice', voice);
    ELSIF jsonb_typeof(voice) <> 'object' THEN
        PERFORM onboarding_refuses('persona', 'it is no text and no object', 'a text, or an object of texts');
    ELSIF EXISTS (SELECT FROM jsonb_each(voice) AS part WHERE jsonb_typeof(part.value) <> 'string') THEN
        PERFORM onboarding_refuses('persona', 'a part of it is no text', 'a text, or an object of texts');
    END IF;
    IF length(voice::text) > 10000 THEN
        PERFORM onboarding_refuses('persona', 'it is too long', 'up to 10,000 characters');
    END IF;
    -- What is in force may be the environment's; this is what the person said.
    said := jsonb_strip_nulls(jsonb_build_object(
        'mode', way, 'timezone', known_zone, 'posts_per_day',
        CASE jsonb_typeof(given -> 'plan') WHEN 'object' THEN onboarding_whole(given -> 'plan', 'posts_per_day', 100) END
    ));
    SELECT * INTO profile FROM profiles WHERE auth_user_id = caller FOR UPDATE;
    -- The same again writes nothing, and wakes nobody.
    IF profile.id IS NULL OR (
        CASE WHEN profile.x_user_id IS NULL THEN coalesce(wanted, profile.handle) ELSE profile.handle END,
        coalesce(known_zone, profile.timezone), coalesce(way, profile.mode::text),
        coalesce(voice, profile.persona), profile.chosen || said
    ) IS DISTINCT FROM (
        profile.handle, profile.timezone, profile.mode::text, profile.persona, profile.chosen
    ) THEN
        INSERT INTO profiles AS known (auth_user_id, handle, timezone, mode, persona, adoptable, chosen)
        VALUES (
            caller, coalesce(wanted, 'unnamed'), coalesce(known_zone, 'UTC'), coalesce(way, 'auto')::profile_mode,
            coalesce(voice, '{{}}'::jsonb), false, said
        )
        ON CONFLICT (auth_user_id) DO UPDATE SET
            -- X says what the account is called, once it was asked.
            handle = CASE WHEN known.x_user_id IS NULL THEN coalesce(wanted, known.handle) ELSE known.handle END,
            timezone = coalesce(known_zone, known.timezone),
            mode = coalesce(way::profile_mode, known.mode),
            persona = coalesce(voice, known.persona),
            chosen = known.chosen || excluded.chosen
        RETURNING * INTO profile;
    END IF;
    RETURN jsonb_build_object(
        'profile', jsonb_build_object(
            'id', profile.id, 'handle', profile.handle, 'timezone', profile.timezone, 'mode', profile.mode,
            'persona', profile.persona, 'paused', profile.paused
        ),
        'plan', onboarding_plan(profile.id, coalesce(nullif(given -> 'plan', 'null'::jsonb), '{{}}'::jsonb)),
        'role', 'owner'
    );
END
$$
"""
PARTS = {
    "onboarding_refuses(text, text, text)": REFUSE,
    "onboarding_text(jsonb, text, text)": GIVEN,
    "onboarding_whole(jsonb, text, integer)": WHOLE,
    "onboarding_topics(jsonb)": TOPICS,
    "onboarding_knows(jsonb, text, text[])": UNKNOWN,
    "onboarding_plan(uuid, jsonb)": PLAN,
}
WHOLE_STEP = "finalize_onboarding(jsonb)"
# Everybody may call it, and whoever is not signed in hears that it takes that.
GRANTS = f"""
DO $$
DECLARE
    who text;
BEGIN
    FOR who IN SELECT 'PUBLIC' UNION ALL
               SELECT quote_ident(rolname) FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE 'REVOKE ALL ON FUNCTION {", ".join(PARTS)} FROM ' || who;
    END LOOP;
    GRANT EXECUTE ON FUNCTION {WHOLE_STEP} TO PUBLIC;
END
$$
"""


def upgrade() -> None:
    """Adds the function, and those that it is made of, which are nobody else's to call."""
    bind = op.get_bind()
    schema = bind.dialect.identifier_preparer.quote(
        bind.exec_driver_sql("SELECT current_schema()").scalar_one()
    )
    for source in (*PARTS.values(), FINALIZE):
        op.execute(source.format(schema=schema))
    op.execute(GRANTS)


def downgrade() -> None:
    """Takes them away; the profiles stay."""
    for name in (WHOLE_STEP, *reversed(PARTS)):
        op.execute(f"DROP FUNCTION {name}")
