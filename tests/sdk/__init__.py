"""The official OpenAI SDKs of Python and Node, really run against a gateway, with `openai.types` as the schema."""
