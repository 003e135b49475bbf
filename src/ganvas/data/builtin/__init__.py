"""Data sets that need no file: drawn avatars, 2-D toys, and scikit-learn's digits."""
