"""What applying a resource would do, found out by the operator's own passes over a world that only notes what
is written: Platform and Zoho CRM are read, the cluster is a copy in memory, and nothing is changed anywhere.
"""
