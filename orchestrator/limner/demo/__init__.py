"""`make demo`: what Limner is, in one minute and with something to look at."""
