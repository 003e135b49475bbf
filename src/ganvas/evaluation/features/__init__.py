"""Networks that turn pictures into vectors in which distances mean something."""
