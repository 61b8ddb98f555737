"""CRMDataflow → source connection, target connection, mapping set and flow."""
