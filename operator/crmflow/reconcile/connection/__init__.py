"""ZohoSourceConnection → one base connection in one sandbox."""
