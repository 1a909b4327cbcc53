package rego_test

import (
	"context"
	"fmt"
	"log"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/tenant"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
)

// TST-12: policies are read, compiled and asked about a review. Where there are
// registries and trust roots to ask, builtins.New takes them; this policy needs none.
func Example() {
	documents, err := cip.Parse([]byte(`
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: no-docker-hub}
spec:
  images: [{glob: index.docker.io/**}]
  authorities: [{static: {action: fail, message: use our mirror}}]
`))
	if err != nil {
		log.Fatal(err)
	}
	registry, err := oci.New()
	if err != nil {
		log.Fatal(err)
	}
	roots := func() trust.Roots { return trust.Roots{} }
	facts, err := builtins.New(registry, roots, builtins.Options{})
	if err != nil {
		log.Fatal(err)
	}
	set, err := rego.Compile(context.Background(), rego.Source{
		Policies: documents.Policies,
		Config:   rego.Config{NoMatch: "deny"},
		Open:     func(about rego.Workload) rego.Answers { return facts.Open(oci.Credentials{}, tenant.Workload(about)) },
	})
	if err != nil {
		log.Fatal(err)
	}
	const review = `{"request": {"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": {"spec":
		{"containers": [{"image": "nginx@sha256:7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7"}]}}}}`
	decision, err := rego.NewEngine(set, nil).Decide(context.Background(), []byte(review))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decision.Allowed)
	fmt.Println(decision.Reasons[0])
	// Output:
	// false
	// failed policy: no-docker-hub: spec.containers[0].image
	// nginx@sha256:7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7 disallowed by static policy: use our mirror
}
