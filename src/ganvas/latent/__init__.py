"""Exploring what a model has learned, over the latent interface alone."""
