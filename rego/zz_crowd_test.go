package rego_test
import ("testing";"time";"fmt";"encoding/json";"github.com/assay-dev/assay/rego")
func TestZZ(t *testing.T){
 w := openWorld(t, "images:\n  app: {signatures: [{signer: release}]}\n")
 _=rego.Source{}
 for _,n := range []int{256,257,2000,100000}{
  for _, img := range []any{nil, "reg.io/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
  cs:=[]any{}
  for i:=0;i<n;i++{ if img==nil {cs=append(cs,nil)} else {cs=append(cs,map[string]any{"image":fmt.Sprintf("reg.io/a%d@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",i)})}}
  rv,_:=json.Marshal(map[string]any{"request":map[string]any{"operation":"CREATE","kind":map[string]any{"group":"","version":"v1","kind":"Pod"},"object":map[string]any{"spec":map[string]any{"containers":cs}}}})
  r := open(t, w, setup{policies: policy("signed", "", ""), clock: newClock()})
  s:=time.Now()
  d,err:=r.Decide(t.Context(), rv)
  x:=0; for _,q:=range d.Reasons{x+=len(q)}
  fmt.Println(n,img!=nil,time.Since(s),len(d.Reasons),x,err)
 }}
}
