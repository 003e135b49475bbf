"""Pictures of one domain into another: files in, files out, by a model that translates."""
