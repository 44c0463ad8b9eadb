"""The door: JSON-RPC over HTTP and WebSocket, subscriptions, and signed records as binary frames."""
