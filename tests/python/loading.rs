//! Loads an application by its name, or reports why that fails.

use std::fs;
use std::path::Path;
use std::process::Command;

use gateway::python::Loader;
use gateway::testing::Client;
use gateway_tests::run;

use crate::process::{Process, server};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

const SHOP: &str = "
def create_app():
    def app(environ, start_response):
        start_response('200 OK', [])
        return [b'from ' + __name__.encode()]
    return app

class Site:
    app = staticmethod(create_app())

site = Site()
app = site.app
number = 4
";

fn refusal(folder: &Path, name: &str) -> String {
    Loader::new().path(folder).load(name).unwrap_err().to_string()
}

/// PY-14.
#[test]
fn an_application_is_found_by_module_and_attribute() {
    let folder = folder(&[("loading_shop/__init__.py", ""), ("loading_shop/wsgi.py", SHOP)]);
    for attribute in ["app", "site.app", "create_app()"] {
        let name = format!("loading_shop.wsgi:{attribute}");
        let app = Loader::new().path(folder.path()).load(&name).unwrap();
        assert_eq!(app.name(), name);
        assert_eq!(Client::new(app).get("/").text(), "from loading_shop.wsgi");
    }
}

/// PY-14: the message contains the requested name, and the error.
#[test]
fn a_bad_name_is_a_clear_error() {
    let folder = folder(&[
        ("loading_bad.py", SHOP),
        ("loading_broken.py", "def rig():\n    raise ValueError('no database')\nrig()"),
        ("loading_factory.py", "def make():\n    raise ValueError('no settings')"),
    ]);
    for name in ["loading_bad", "loading_bad:", ":app", "loading_bad:app(1)", "loading bad:app", "../x:app"] {
        let message = refusal(folder.path(), name);
        assert!(message.contains(&format!("{name:?} names no application; write module:attribute")), "{message}");
    }
    let cases: [(&str, &[&str]); 5] = [
        ("loading_nowhere:app", &["cannot import \"loading_nowhere\"", "ModuleNotFoundError"]),
        ("loading_bad:nothing", &["\"loading_bad:nothing\" is not there", "has no attribute 'nothing'"]),
        ("loading_bad:number", &["\"loading_bad:number\" is no application", "cannot be called"]),
        ("loading_broken:app", &["cannot import \"loading_broken\"", "in rig", "ValueError: no database"]),
        ("loading_factory:make()", &["makes no application", "in make", "ValueError: no settings"]),
    ];
    for (name, parts) in cases {
        let message = refusal(folder.path(), name);
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

/// PY-14: an application that gives the interpreter the threads of an event loop is not served, whether its module or
/// its factory does so. The libraries are stand-ins with the functions of the real ones.
#[test]
fn a_monkey_patch_of_threads_is_refused() {
    let patcher = |asks: &str, patches: &str| {
        format!(
            "patched = []\ndef {asks}(module):\n    return module in patched\n\
             def {patches}(*modules):\n    patched.extend(modules)\n"
        )
    };
    let app = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n";
    let gevent = "from gevent import monkey\n";
    let folder = folder(&[
        ("gevent/__init__.py", ""),
        ("gevent/monkey.py", &patcher("is_module_patched", "patch_all")),
        ("eventlet/__init__.py", ""),
        ("eventlet/patcher.py", &patcher("is_monkey_patched", "monkey_patch")),
        ("by_module.py", &format!("{gevent}monkey.patch_all('socket', 'threading')\n{app}")),
        ("by_factory.py", &format!("{gevent}def make():\n    monkey.patch_all('_thread')\n    return app\n{app}")),
        ("by_eventlet.py", &format!("import eventlet.patcher\neventlet.patcher.monkey_patch('thread')\n{app}")),
        ("sockets_only.py", &format!("{gevent}monkey.patch_all('socket')\n{app}")),
        ("breaks.py", &format!("{gevent}monkey.patch_all('threading')\nraise OSError('no database')\n")),
        ("site/sitecustomize.py", &format!("{gevent}monkey.patch_all('threading')\n")),
    ]);
    let path = folder.path().to_str().unwrap();
    for (name, library) in
        [("by_module:app", "gevent"), ("by_factory:make()", "gevent"), ("by_eventlet:app", "eventlet")]
    {
        let (status, _, said) = run(server(name).args(["--python-path", path]));
        assert_eq!(status.code(), Some(1), "{said}");
        let message = format!("{name:?} replaces the interpreter's threads by those of {library}");
        assert!(said.contains(&message), "{said}");
    }
    let served = Process::spawn(server("sockets_only:app").args(["--python-path", path]));
    assert_eq!(served.get("/"), "served");
    // No patch can be undone: the error of an application that has not patched names the one that has.
    for first in ["by_module:app", "breaks:app"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_python_program"));
        let (status, _, said) = run(program.args(["sockets_only:app", "--python-path", path, "--first", first]));
        assert_eq!(status.code(), Some(1), "{said}");
        let message = format!(
            "\"sockets_only:app\" cannot be loaded, because {first:?}, whose load came before, has replaced the \
             interpreter's threads by those of gevent"
        );
        assert!(said.contains(&message), "{said}");
    }
    let search_path = format!("{path}/site:{path}");
    let (_, _, said) = run(server("sockets_only:app").args(["--python-path", path]).env("PYTHONPATH", search_path));
    let message = "\"sockets_only:app\" cannot be loaded, because something before it (the program, a `.pth` file, `sitecustomize`, or ";
    assert!(said.contains(message), "{said}");
}

#[test]
fn a_virtual_environment_that_is_none_is_a_clear_error() {
    let folder = folder(&[]);
    let loader = Loader::new().virtual_env(folder.path());
    let message = loader.load("json:dumps").unwrap_err().to_string();
    assert!(message.contains("is no virtual environment for Python 3."), "{message}");
    assert!(message.contains(folder.path().join("pyvenv.cfg: ").to_str().unwrap()), "{message}");
}

/// A virtual environment for the interpreter's version, with one package.
fn virtual_environment() -> tempfile::TempDir {
    let mut files = vec![("pyvenv.cfg".to_owned(), "home = /nonexistent"), ("bin/python".to_owned(), "")];
    for suffix in ["", "t"] {
        let packages = |minor| format!("lib/python3.{minor}{suffix}/site-packages/loading_package.py");
        files.extend((8..30).map(|minor| (packages(minor), SHOP)));
    }
    folder(&files.iter().map(|(file, text)| (file.as_str(), *text)).collect::<Vec<_>>())
}

/// PY-14: several threads load at the same time: each imports while another thread sets the search path.
#[test]
fn applications_may_be_loaded_at_once_from_a_virtual_environment() {
    let environment = virtual_environment();
    let modules: Vec<String> = (0..16).map(|number| format!("loading_at_once_{number}")).collect();
    let text = format!("from __future__ import annotations\nimport loading_package\n{SHOP}");
    let files: Vec<(String, &str)> = modules.iter().map(|module| (format!("{module}.py"), text.as_str())).collect();
    let folder = folder(&files.iter().map(|(name, text)| (name.as_str(), *text)).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for module in &modules {
            let loader = Loader::new().path(folder.path()).virtual_env(environment.path());
            scope.spawn(move || loader.load(&format!("{module}:app")).unwrap());
        }
    });
    let app = Loader::new().virtual_env(environment.path()).load("loading_package:app").unwrap();
    assert_eq!(Client::new(app).get("/").text(), "from loading_package");
}
