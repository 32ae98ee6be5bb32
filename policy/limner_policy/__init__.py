"""Written policy: its language, its pure engine, and the detectors that give it evidence."""
