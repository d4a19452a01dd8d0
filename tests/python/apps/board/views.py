import hashlib
import threading

from django.contrib.auth.decorators import login_required
from django.db.backends.signals import connection_created
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from board.models import Note

FORM = """<form method="post" action="{% url 'form' %}">{% csrf_token %}<input name="text"></form>{{ text }}"""

state = {"left": False, "closed": 0, "files": 0}
state_lock = threading.Lock()
go_on = threading.Event()
meeting = threading.Barrier(4)
local = threading.local()


def count(what):
    with state_lock:
        state[what] += 1


def connected(**_):
    local.connections = getattr(local, "connections", 0) + 1


connection_created.connect(connected)


def form(request):
    page = engines["django"].from_string(FORM)
    return HttpResponse(page.render({"text": request.POST.get("text", "")}, request))


@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    sha256 = hashlib.sha256()
    for piece in file.chunks():
        sha256.update(piece)
    text = [request.POST["title"], file.name, file.content_type, file.size, sha256.hexdigest()]
    return HttpResponse(" ".join(map(str, text)))


def stream(request):
    def rows():
        try:
            yield f"user: {request.user}\n"
            assert go_on.wait(60)
            yield b"done\n"
        finally:
            count("closed")

    return StreamingHttpResponse(rows(), content_type="text/plain")


def release(_):
    go_on.set()
    return HttpResponse()


def endless(_):
    def rows():
        try:
            while True:
                yield b"x" * 1024
        finally:
            state["left"] = True

    return StreamingHttpResponse(rows())


def source(_):
    file = open(__file__, "rb")
    response = FileResponse(file, as_attachment=True, filename="views.py")
    response._resource_closers.append(lambda: count("files"))
    return response


@login_required
def private(request):
    return HttpResponse(f"for {request.user}")


def links(request):
    if "to" in request.GET:
        return redirect(request.GET["to"])
    return JsonResponse({
        "form": reverse("form"),
        "path": request.path,
        "inner": request.path_info,
        "absolute": request.build_absolute_uri(reverse("form")),
    })


@csrf_exempt
def notes(request):
    if request.method == "POST":
        Note.objects.create(text=request.POST["text"], thread=threading.current_thread().name)
    texts = Note.objects.order_by("text").values_list("text", flat=True)
    return JsonResponse({"notes": list(texts)})


@csrf_exempt
def meet(request):
    """Writes while three others are about to, each on a thread of its own."""
    meeting.wait(60)
    thread = str(threading.get_ident())
    note = Note.objects.create(text=request.POST["text"], thread=thread)
    meeting.wait(60)
    return JsonResponse({
        "own": Note.objects.get(pk=note.pk).text,
        "thread": thread,
        "connections": local.connections,
    })


async def later(request):
    """Writes and reads from a coroutine."""
    note = await Note.objects.acreate(text=request.GET["text"], thread="none")
    return HttpResponse((await Note.objects.aget(pk=note.pk)).text)


def tell(_):
    return JsonResponse(state)


def crash(_):
    raise RuntimeError("a secret of the board")
