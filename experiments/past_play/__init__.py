"""Answering the past: alternating best responses and fictitious play."""
