"""Scores of sets of images: metrics on features, and numbers that carry where they came from."""
