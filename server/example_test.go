package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/server/admission"
)

func ExampleNew() {
	deny := server.DeciderFunc(func(context.Context, []byte) (server.Decision, error) {
		return server.Decision{Verdict: admission.Verdict{Reasons: []string{"not on a Friday"}}}, nil
	})
	s, err := server.New(server.Config{
		Validate:          deny,
		Mutate:            deny,
		Ready:             func() []server.Check { return nil },
		InsecurePlainHTTP: true, // a real server names its certificate in TLS
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	review := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1"}}`
	request := httptest.NewRequest(http.MethodPost, "/validate", strings.NewReader(review))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, request)
	fmt.Println(answer.Body)
	// Output:
	// {"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"1","allowed":false,"status":{"metadata":{},"status":"Failure","message":"validation failed: not on a Friday","reason":"BadRequest","code":400}}}
}
