"""Content Credentials, the audit log that proves itself, and the store of encrypted payloads."""
