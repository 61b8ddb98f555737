"""What more than one folder of tests uses; ``tests/README.md`` tells what is in which module."""
