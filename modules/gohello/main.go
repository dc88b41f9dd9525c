// gohello is an ordinary Go web server on the pod network.
//
// Go's WASI port cannot open a socket, but it serves on one that the host hands over: descriptor 3 is the listener of
// the first containerPort. It answers `hello from POD: request N` as the Rust guest does; but this is one process that
// runs on, so its count goes up.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

func main() {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatalf("no listener: does the manifest name a containerPort? (%v)", err)
	}
	pod := cmp.Or(os.Getenv("POD_NAME"), os.Getenv("HOSTNAME"), "unknown")
	var requests atomic.Uint64
	http.HandleFunc("GET /healthz", func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(out, "ok")
	})
	http.HandleFunc("GET /", func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(out, "hello from %s: request %d\n", pod, requests.Add(1))
	})
	fmt.Println("listening")
	// Serve returns once the listener is closed: that is how a pod is told to end.
	log.Println(http.Serve(listener, nil))
}
