"""X API v2 through tweepy: plain values in, the bot's own words and four kinds of error out."""
