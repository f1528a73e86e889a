"""The web server's way in."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneio.settings")
application = get_wsgi_application()
gc.collect()
gc.freeze()  # what is loaded now stays: the collector need not look at it again
