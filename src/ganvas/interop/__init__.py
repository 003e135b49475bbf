"""Other people's files: what they hold, in this package's terms."""
