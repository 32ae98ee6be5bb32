"""How good a detector is on your pictures: figures with intervals, calibration, thresholds.

Importing this loads nothing.
"""
