//! Virtual environments, made by each of the usual programs, and the packages in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway_tests::{run, skip};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::interpreter::base_python;
use crate::process::{Process, clear_variables, server};

/// Answers with the environment, in this process and in a child.
const APP: &str = "
import json, subprocess, sys

def facts():
    return [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.executable, sys.path[-2:]]

SCRIPT = 'import json, sys; print(json.dumps([sys.prefix, sys.base_prefix]))'

def app(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/child':
        return [subprocess.run([sys.executable, '-c', SCRIPT], capture_output=True).stdout]
    if environ['PATH_INFO'] == '/facts':
        return [json.dumps(facts()).encode()]
    value = eval(environ['QUERY_STRING'], {'__import__': __import__})
    return [repr(value).encode()]
";

/// An environment in a folder of its own.
struct Environment {
    folder: TempDir,
}

impl Environment {
    /// Made by a command, which gets the folder as its last argument.
    fn by(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (status, said, complained) = run(command.arg(folder.path().join("env")));
        assert!(status.success(), "{command:?}: {said}{complained}");
        Self { folder }
    }

    /// Made by `venv`, without pip.
    fn by_venv() -> Self {
        Self::by(Command::new(base_python()).args(["-m", "venv", "--without-pip"]))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("env")
    }

    /// The folder of its packages.
    fn packages(&self) -> PathBuf {
        let mut versions = fs::read_dir(self.path().join("lib")).unwrap();
        versions.next().unwrap().unwrap().path().join("site-packages")
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.packages().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Replaces the value of a key in `pyvenv.cfg`.
    fn configure(&self, key: &str, value: &str) {
        let file = self.path().join("pyvenv.cfg");
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with(key)).map(str::to_owned);
        let lines: Vec<String> = lines.chain([format!("{key} = {value}\n")]).collect();
        fs::write(file, lines.join("\n")).unwrap();
    }

    /// A server in this environment, of which no variable and no `PATH` tells.
    fn serve(&self) -> Process {
        Process::of(APP, clear_variables(&mut server("served:app")).arg("--virtual-env").arg(self.path()))
    }

    /// The value of an expression in a server.
    fn value(&self, expression: &str) -> String {
        self.serve().get(&format!("/?{expression}"))
    }

    /// The message of a server that does not start.
    fn refusal(&self) -> String {
        let (status, _, complained) = run(server("json:dumps").arg("--virtual-env").arg(self.path()));
        assert_eq!(status.code(), Some(1), "{complained}");
        complained
    }

    fn expected(&self) -> Value {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("served.py"), APP).unwrap();
        let mut command = Command::new(self.path().join("bin/python"));
        command.args(["-c", "import served; print(served.json.dumps(served.facts()))"]);
        let (status, said, complained) = run(clear_variables(&mut command).current_dir(folder.path()));
        assert!(status.success(), "{complained}");
        serde_json::from_str(&said).unwrap()
    }

    /// Asserts that the server has the setup that the environment's `python` has, and that its children have it.
    fn is_used(&self) {
        let server = self.serve();
        let facts: Value = serde_json::from_str(&server.get("/facts")).unwrap();
        assert_eq!(facts, self.expected());
        let path = self.path();
        assert_eq!(facts[0], json!(path), "the prefix");
        assert_eq!(facts[3], json!(path.join("bin/python")), "the executable");
        let child: Value = serde_json::from_str(&server.get("/child")).unwrap();
        assert_eq!(child, json!([facts[0], facts[2]]));
    }
}

/// A program in the environment that the tests of the frameworks have, too.
fn installed(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target/venv");
    let folder = std::env::var_os("VIRTUAL_ENV").filter(|folder| !folder.is_empty()).map_or(workspace, PathBuf::from);
    Some(folder.join("bin").join(name)).filter(|program| program.is_file())
}

const INSTALL: &str = "install tests/python/requirements.txt into target/venv";

#[test]
fn an_environment_of_venv_is_used_without_a_path() {
    Environment::by_venv().is_used();
    Environment::by(Command::new(base_python()).args(["-m", "venv", "--without-pip", "--copies"])).is_used();
}

#[test]
fn an_environment_with_the_systems_packages_is_used() {
    let arguments = ["-m", "venv", "--without-pip", "--system-site-packages"];
    Environment::by(Command::new(base_python()).args(arguments)).is_used();
}

#[test]
fn an_environment_of_virtualenv_is_used() {
    let Some(program) = installed("virtualenv") else {
        return skip("an_environment_of_virtualenv_is_used", INSTALL);
    };
    let arguments = ["--no-seed", "--quiet", "--python"];
    Environment::by(Command::new(program).args(arguments).arg(base_python())).is_used();
}

#[test]
fn an_environment_of_uv_is_used() {
    let Some(program) = installed("uv") else {
        return skip("an_environment_of_uv_is_used", INSTALL);
    };
    let arguments = ["venv", "--offline", "--no-config", "--quiet", "--python"];
    Environment::by(Command::new(program).args(arguments).arg(base_python())).is_used();
}

/// The active environment, without an argument.
#[test]
fn the_environment_of_the_variable_is_used() {
    let environment = Environment::by_venv();
    let server = Process::of(APP, clear_variables(&mut server("served:app")).env("VIRTUAL_ENV", environment.path()));
    let facts: Value = serde_json::from_str(&server.get("/facts")).unwrap();
    assert_eq!(facts, environment.expected());
}

/// The first environment decides; a later one adds its packages, before those of the first.
#[test]
fn a_second_environment_adds_its_packages() {
    let [first, second] = [Environment::by_venv(), Environment::by_venv()];
    first.write("of_the_first.py", "number = 1");
    first.write("of_both.py", "number = 1");
    second.write("of_the_second.py", "number = 2");
    second.write("of_both.py", "number = 2");
    let mut program = Command::new(env!("CARGO_BIN_EXE_python_program"));
    program.arg("served:app").arg("--virtual-env").arg(first.path());
    let server = Process::of(APP, program.arg("--second-virtual-env").arg(second.path()));
    let facts: Value = serde_json::from_str(&server.get("/facts")).unwrap();
    assert_eq!(facts[0], json!(first.path()));
    assert_eq!(facts[3], json!(first.path().join("bin/python")));
    for (module, number) in [("of_the_first", "1"), ("of_the_second", "2"), ("of_both", "2")] {
        assert_eq!(server.get(&format!("/?__import__('{module}').number")), number, "{module}");
    }
}

#[test]
fn an_environment_of_another_version_is_a_clear_error() {
    let environment = Environment::by_venv();
    for key in ["version", "version_info"] {
        environment.configure(key, "3.7.16");
        let message = environment.refusal();
        for part in [
            environment.path().to_str().unwrap(),
            "which this program is linked with: it is one for Python 3.7.16",
            "-m venv",
        ] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

#[test]
fn an_environment_whose_python_is_gone_is_a_clear_error() {
    let environment = Environment::by_venv();
    for name in ["python", "python3"] {
        let file = environment.path().join("bin").join(name);
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/nonexistent/python3", file).unwrap();
    }
    let message = environment.refusal();
    assert!(message.contains("bin/python is missing, or a link to a missing file"), "{message}");
}

/// An environment that another installation of the same version has made, or one that is gone: its packages are used,
/// with the standard library that the library of the interpreter belongs to.
#[test]
fn the_standard_library_is_that_of_the_linked_installation() {
    let environment = Environment::by_venv();
    environment.write("packaged.py", "number = 4");
    let other = tempfile::tempdir().unwrap();
    let name = environment.packages().parent().unwrap().file_name().unwrap().to_owned();
    let library = other.path().join("lib").join(name);
    fs::create_dir_all(&library).unwrap();
    fs::create_dir(other.path().join("bin")).unwrap();
    fs::write(library.join("os.py"), "raise SystemExit('the library of another installation')").unwrap();
    let expected = environment.expected();
    for home in [other.path().join("bin"), PathBuf::from("/nonexistent/bin")] {
        environment.configure("home", home.to_str().unwrap());
        let server = environment.serve();
        assert_eq!(serde_json::from_str::<Value>(&server.get("/facts")).unwrap(), expected);
        assert_eq!(server.get("/?__import__('packaged').number"), "4");
    }
}

/// `.pth` files are read: their folders are searched, and their lines that import are run.
#[test]
fn pth_files_are_read() {
    let environment = Environment::by_venv();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("elsewhere.py"), "number = 5").unwrap();
    let lines = format!("{}\nimport sys; sys.flag_of_pth = 6\n", folder.path().display());
    environment.write("extra.pth", &lines);
    assert_eq!(environment.value("__import__('elsewhere').number,__import__('sys').flag_of_pth"), "(5, 6)");
}

/// The parts of a namespace package may be in the folder of the application and in the environment.
#[test]
fn the_parts_of_a_namespace_package_are_found() {
    let environment = Environment::by_venv();
    environment.write("spread/one.py", "number = 7");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("spread")).unwrap();
    fs::write(folder.path().join("spread/two.py"), "number = 8").unwrap();
    let mut command = server("served:app");
    command.arg("--virtual-env").arg(environment.path()).arg("--python-path").arg(folder.path());
    let server = Process::of(APP, &mut command);
    let value = server.get("/?__import__('spread.one').one.number,__import__('spread.two').two.number");
    assert_eq!(value, "(7, 8)");
}

/// `pip install --editable`.
#[test]
fn an_editable_install_is_found() {
    let test = "an_editable_install_is_found";
    let Some(pip) = installed("python") else {
        return skip(test, INSTALL);
    };
    let project = tempfile::tempdir().unwrap();
    let package = project.path().join("src/editable");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("__init__.py"), "number = 9").unwrap();
    let setup = "[project]\nname = 'editable'\nversion = '1'\n[build-system]\nrequires = ['setuptools']\n\
                 build-backend = 'setuptools.build_meta'\n";
    fs::write(project.path().join("pyproject.toml"), setup).unwrap();
    let environment = Environment::by_venv();
    let mut install = Command::new(pip);
    install.args(["-m", "pip", "--python"]).arg(environment.path().join("bin/python"));
    let (status, said, complained) = run(install.args(["install", "--quiet", "--editable"]).arg(project.path()));
    if !status.success() {
        return skip(test, &format!("pip needs a network: {said}{complained}"));
    }
    assert_eq!(environment.value("__import__('editable').number"), "9");
    fs::write(package.join("__init__.py"), "number = 10").unwrap();
    assert_eq!(environment.value("__import__('editable').number"), "10");
}
