import asyncio
import hashlib

from asgiref.sync import sync_to_async
from django.core.files.storage import default_storage
from django.db.models import F
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils.translation import get_language, gettext
from django.views.decorators.csrf import csrf_exempt

from project.models import Article


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


def greeting(request):
    # Django's own catalogue translates this.
    return JsonResponse({"language": get_language(), "yes": gettext("Yes")}, json_dumps_params={"ensure_ascii": False})


@csrf_exempt
def upload(request):
    stored = []
    for field, uploaded in request.FILES.items():
        name = default_storage.save(uploaded.name, uploaded)
        digest = hashlib.sha256(default_storage.open(name).read()).hexdigest()
        stored.append({"field": field, "name": uploaded.name, "size": uploaded.size, "sha256": digest})
    return JsonResponse({"files": stored, "fields": request.POST.dict()})


def file(request, name):
    return FileResponse(default_storage.open(name), as_attachment=True, filename=name)


def page(request, title):
    return JsonResponse({"title": title, "query": request.GET.dict(), "path": request.get_full_path()})


@csrf_exempt
def add(request, number):
    Article.objects.filter(pk=number).update(stock=F("stock") + 1)
    return HttpResponse(status=204)


async def gathered(request):
    async def double(number):
        await asyncio.sleep(0)
        return number * 2

    return JsonResponse({"doubled": await asyncio.gather(*map(double, range(5)))})


async def articles(request):
    await Article.objects.aget_or_create(name="Tür", defaults={"stock": 3})
    names = await sync_to_async(lambda: list(Article.objects.values_list("name", flat=True)))()
    return JsonResponse({"names": names})


def lines(request):
    return StreamingHttpResponse((f"Zeile {number} ä\n" for number in range(1000)), content_type="text/plain")


async def async_lines(request):
    async def generate():
        for number in range(100):
            await asyncio.sleep(0)
            yield f"{number}\n"

    return StreamingHttpResponse(generate(), content_type="text/plain")


@csrf_exempt
def echo(request):
    return HttpResponse(request.body, content_type=request.content_type)


def fail(request):
    raise RuntimeError("meant to fail")


def cookies(request):
    response = JsonResponse(request.COOKIES)
    response.set_cookie("first", "1", httponly=True, samesite="Lax")
    response.set_cookie("second", "zwei", max_age=60)
    response.delete_cookie("third")
    return response


def where(request):
    return JsonResponse({"secure": request.is_secure(), "host": request.get_host(), "method": request.method})
