"""What every test may use: the protocol servers as fixtures (see `servers/plugin.py`)."""

pytest_plugins = ["servers.plugin"]
