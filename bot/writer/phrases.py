"""Phrases that tell which sentences and headings a reader can do without their context.

They know English best; a sentence in another language simply meets fewer of them.
"""

from __future__ import annotations

import re


def _any(phrases: str) -> str:
    """Joins the lines of a list of alternatives, each line ending with a bar but the last."""
    return "(?:" + "".join(line.strip() for line in phrases.splitlines()) + ")"


DANGLING = re.compile(
    _any(
        r"""it|its|it's|it’s|they|their|them|he|she|his|her|this|these|those|that|that's|however|but|and|or|so|also|
        therefore|thus|then|hence|such|both|another|other|others|instead|otherwise|additionally|moreover|
        furthermore|similarly|likewise|meanwhile|nevertheless|still|yet|again|finally|alternatively|besides|
        conversely|consequently|first|firstly|second|secondly|third|next|here|there|now|to do|if so|
        in this|in these|in that|in addition|in contrast|in other words|at this|for this|for these|for that|
        you can however|for example|for instance|with this|with these|by doing|as such|as a result|
        as mentioned|on the other|because|primarily|especially|mainly|even so|just|which|who|where|after that|
        note|please|plus|same|except|one of these|all of (?:the|these|this)|most of (?:the|these|this)|
        some of (?:the|these|this)|the (?:above|latter|former|same|other|second|third)"""  # noqa: RUF001
    )
    + r"\b",
    re.IGNORECASE,
)
"""Starts that point back at a sentence the reader has not seen."""

BOILERPLATE = re.compile(
    _any(
        r"""click here|click on|subscribe|newsletter|sign up|read more|continue reading|appeared first on|
        cookie|all rights reserved|copyright|share this|follow (?:us|me)|leave a comment|terms of|
        privacy policy|pull request|bug report|bug tracker|issue tracker|open an issue|
        report (?:a |any )?bug|stack ?overflow|mailing list|discord|gitter|contribut|licen[sc]ed? |sponsor|
        donat|pip install|see also|documentation|\bdocs\b|read ?me|
        (?:see|read|check|consult|visit|refer to) (?:also|the|our|it)|more (?:information|details|info)|
        learn more|changelog|release notes|badge|github|table of contents|tidelift|subscription|
        commercial support|consider (?:a|buying)|\bhere(?:'s|’s| is| are)\b|\bhere\W*$|\(see\b|blog post|
        \b(?:talk|video)\b|read about|\b(?:below|above|following|as follows)\b|
        \b(?:this|these|next|previous) (?:section|page|document|chapter|guide|article|post|tutorial)\b|
        \b(?:this|these|next|previous) (?:examples?|package|library|module|project|table)\b|
        \b(?:this|these|next|previous) (?:list|file|readme|figure|snippet|code)\b|
        \b(?:example|output|result|snippet|command|code)s? (?:is|would be|will be|looks|shows?|uses?)\b|
        \b(?:TODO|FIXME|lorem ipsum)\b"""  # noqa: RUF001
    ),
    re.IGNORECASE,
)
"""What a page says about itself, its links and its makers' wishes."""

COMMAND = re.compile(
    _any(
        r"""install|run|look|delete|submit|let|click|see|check|read|visit|download|clone|add|create|set|
        open|make sure|ensure|import|call|type|enter|copy|paste|try|clean|remove|fix(?:ed|es)?|
        bump|rename|refactor|execute|pass|edit|change"""
    )
    # A project may be called Click: then a verb goes on.
    + r"\b(?!\s+(?:is|are|was|has|can|will|lets|makes|provides|supports|works)\b)",
    re.IGNORECASE,
)
"""Starts that tell a reader of the manual what to do."""

VERB = re.compile(
    r"\b"
    + _any(
        r"""is|are|was|were|be|been|has|have|had|can|could|will|would|may|might|must|should|does|do|did|\w+n't|\w+ed|
        \w+(?:izes?|ifies|ates?|ides?|ows?|ports?|akes?|ets?|ives?|uns?|eeps?|orks?|urns?|ings) \w"""
    )
    + r"\b"
)
"""Signs that an English line is a sentence and not a slogan."""

LOOSE_END = re.compile(
    r"\W+"
    + _any(
        r"""and|or|but|that|which|who|for example|for instance|such as|e\.g\.?|i\.e\.?|
        the|an?|of|to|with|in|so"""
    )
    + "$",
    re.IGNORECASE,
)
"""Words that no shortened sentence ends with."""

GENERIC_HEADING = re.compile(
    r"^\W*"
    + _any(
        r"""summary|intro\w*|overview|about|features?|highlights|usage|basic usage|quick ?start|quick links|
        getting started|examples?|faq|notes?|background|description|what\b.*|why\b.*|how\b.*|compatibility|
        status|read ?me|info\w*|home|untitled|index|main|key features|goals?|motivation|rationale|changes?|
        history|version\b.*|v?\d[\w.-]*(?:\s.*)?|unreleased\b.*|news|releases?|change ?log\b.*|
        basic examples?"""
    )
    + r"\W*$",
    re.IGNORECASE,
)
"""Headings that say nothing outside their document."""

DULL_HEADING = re.compile(
    _any(
        r"""licen[sc]|contribut|sponsor|install|table of contents|code of conduct|credit|author|maintain|
        acknowledg|get(?:ting)? help|support(?:ing)?\b|security|vulnerab|develop|testing|documentation|links|
        community|thanks|donat|requirements|dependenc|download|upgrad|feedback|contact|bug|reporting|cite|
        citation|legal|copyright|supported versions|enterprise|\bwho\b|\busers\b|projects using|related"""
    ),
    re.IGNORECASE,
)
"""Sections of a project's notes that no follower wants to read."""
