"""Detectors give evidence about pictures; the policy decides. Importing this loads no model and no numpy."""
