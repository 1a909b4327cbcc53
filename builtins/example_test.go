package builtins_test

import (
	"context"
	"fmt"
	"log"

	"github.com/open-policy-agent/opa/v1/rego"
)

// The pure builtin works wherever Rego is evaluated.
func Example_parse() {
	results, err := rego.New(rego.Query(`x = oci.parse("alpine:3")`)).Eval(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(results[0].Bindings["x"].(map[string]any)["name"])
	// Output: index.docker.io/library/alpine:3
}

// A builtin that needs the world says so where there is none. It is never
// undefined, so `not answer.ok` holds.
func Example_withoutFacts() {
	results, err := rego.New(rego.Query(`answer = oci.resolve("alpine:3"); not answer.ok; x = answer.error`)).Eval(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	problem := results[0].Bindings["x"].(map[string]any)
	fmt.Println(problem["code"])
	fmt.Println(problem["message"])
	// Output:
	// unsupported
	// oci.resolve needs the engine: there are no facts in this evaluation
}
