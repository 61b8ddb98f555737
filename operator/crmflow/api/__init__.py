"""The kinds of group crmflow.io as models: the one source of CRDs, reference pages and validation."""
