"""What reads a run and judges or shows it."""
