"""The web desk of the three roles, and the HTTP API. Pages show; every step is a function of `verification` or `registry_client`, as for the command."""
