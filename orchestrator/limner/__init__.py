"""The Limner SDK: one governed, signed, audited way to every image model."""
