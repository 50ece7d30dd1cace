"""Studies: what is not a race. How cost grows with numbers, and how much memory things take."""
