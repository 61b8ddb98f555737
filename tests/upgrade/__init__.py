"""What earlier stages left behind: recorded with their own operator, and put back in today's tests."""
