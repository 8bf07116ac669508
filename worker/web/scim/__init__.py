"""The SCIM 2.0 server (RFC 7643, RFC 7644), to which directories push who works here."""
