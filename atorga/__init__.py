"""The composition root: the ``atorga`` command, its configuration, and the sandbox town."""
