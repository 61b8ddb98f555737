"""crmflow: a Kubernetes operator that keeps Zoho CRM data flowing into Adobe Experience Platform."""

__version__ = "0.1.0"
