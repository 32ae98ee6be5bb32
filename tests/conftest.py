"""What every test may use: protocol servers (see `servers/plugin.py`) and databases (`servers/postgres.py`)."""

pytest_plugins = ["servers.plugin", "servers.postgres"]
