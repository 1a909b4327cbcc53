package registry_test

import (
	"net/http"
	"testing"

	"github.com/assay-dev/assay/e2e/registry"
)

func TestUserAndPasswordOpenIt(t *testing.T) {
	t.Parallel()
	jane := &registry.User{Name: "jane", Password: "secret"}
	for name, test := range map[string]struct {
		owner, visitor *registry.User
		want           int
	}{
		"open":           {nil, nil, http.StatusOK},
		"its user":       {jane, jane, http.StatusOK},
		"nobody":         {jane, nil, http.StatusUnauthorized},
		"wrong password": {jane, &registry.User{Name: "jane", Password: "guess"}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registry.Start(t, test.owner)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.Host+"/v2/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if test.visitor != nil {
				request.SetBasicAuth(test.visitor.Name, test.visitor.Password)
			}
			client := http.Client{Transport: r.Transport}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("got %d, want %d", response.StatusCode, test.want)
			}
		})
	}
}
