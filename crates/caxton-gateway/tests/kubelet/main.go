// Probes addresses with the kubelet's own code, and says what it makes of each.
package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	probehttp "k8s.io/kubernetes/pkg/probe/http"
)

func main() {
	prober := probehttp.New(false)
	for _, address := range os.Args[1:] {
		target, err := url.Parse(address)
		if err != nil {
			fmt.Println("error", address, err)
			continue
		}
		request, err := probehttp.NewProbeRequest(target, http.Header{})
		if err != nil {
			fmt.Println("error", address, err)
			continue
		}
		result, body, err := prober.Probe(request, time.Second)
		fmt.Printf("%s %s %q %v\n", result, address, body, err)
	}
}
