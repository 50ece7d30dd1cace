"""What miniloop promises, as tests; the folders mirror the packages."""
