"""The HTTP service: predictions and corrections of recordings, for other programs and a page.

`anymic.serving.app.create_app` makes the application, and `anymic.serving.running.serve` runs it.
Recordings are decoded in processes of their own (`decoders`), because a decoder may crash or use
all memory on a hostile file, and predictions of several clients share batches (`batching`).
"""
