"""Runs inside an installation: the product's own sweep, once. Prints how many lanes it had to heal."""

import django

django.setup()

from conversations.tasks import sweep  # noqa: E402

if __name__ == "__main__":
    print(sweep())
