"""Losses: pure functions of tensors, with their equations."""
