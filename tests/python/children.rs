//! Processes that an application starts.

use crate::process::Process;

/// Answers with the exit code of a child of `multiprocessing`, and with what it has sent.
const APP: &str = "
import json, multiprocessing, os, sys

def work(queue, number):
    print('a child prints', number)
    queue.put([number * number, sys.prefix == os.environ.get('PREFIX', sys.prefix)])

def app(environ, start_response):
    method = environ['PATH_INFO'].strip('/')
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=work, args=(queue, 3))
    child.start()
    result = queue.get(timeout=60)
    child.join(60)
    start_response('200 OK', [])
    return [json.dumps([child.exitcode, result]).encode()]
";

/// The children run the interpreter, not this program, have its modules, and exit with 0 and with their output.
fn run_child(method: &str) {
    let server = Process::start(APP, &[]);
    for _ in 0..2 {
        assert_eq!(server.get(&format!("/{method}")), "[0, [9, true]]", "{}", server.log());
    }
    let (code, said, complained) = server.stop();
    assert_eq!((code, said.as_str()), (Some(0), "a child prints 3\na child prints 3\n"), "{complained}");
    assert!(!complained.contains("Error"), "{complained}");
}

#[test]
fn a_child_of_multiprocessing_is_spawned() {
    run_child("spawn");
}

#[test]
fn a_child_of_multiprocessing_comes_from_the_fork_server() {
    run_child("forkserver");
}

/// PY-12: the thread of the request is the main thread of the child.
#[test]
fn a_child_of_multiprocessing_is_forked() {
    run_child("fork");
}
