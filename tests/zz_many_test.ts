import { startService } from "./rpc_helper.ts";
import { newTarget, spawn, test, runtimes } from "./harness.ts";
for (const r of runtimes) test("many "+r, async()=>{
  const target=newTarget();
  const service=await startService(r,target);
  const n=[512,511];
  const kids=await Promise.all(n.map((c,i)=>spawn(runtimes[i]!, "typed_many.ts",[target,String(c)])));
  for(const k of kids) await k.expect("ready");
  for (const what of ["open","next","next","close","open","close","leave"]) {
    const t=performance.now();
    const o=await Promise.all(kids.map(k=>k.ask(what)));
    console.log(r, what, JSON.stringify(o), (performance.now()-t).toFixed(0),"ms");
  }
}, {timeout: 200_000});
