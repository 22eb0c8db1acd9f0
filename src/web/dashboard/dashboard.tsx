/** `/admin`: sign-in, and after it a section for each address behind the `#`. */
import "../ui/base.css";
import "../ui/controls.css";
import "./dashboard.css";
import { useState } from "preact/hooks";
import { Link, Redirect, Route, Router, Switch, useRoute } from "wouter-preact";
import { Bar } from "../ui/bar.tsx";
import { callWith } from "../ui/call.ts";
import { start } from "../ui/start.tsx";
import { useAddress } from "./address.ts";
import { Audit } from "./audit/audit.tsx";
import { Overview } from "./overview/overview.tsx";
import { keptAdminKey, SignOut, useSignOut } from "./session.tsx";
import { SignIn } from "./sign-in/sign-in.tsx";
import { Task } from "./task/task.tsx";
import { Tasks } from "./tasks/tasks.tsx";
import { Tenant } from "./tenant/tenant.tsx";
import { Tenants } from "./tenants/tenants.tsx";
import { Webhooks } from "./webhooks/webhooks.tsx";

function Dashboard() {
  const [key, setKey] = useState(keptAdminKey.read);
  const keep = (given: string | undefined) => {
    keptAdminKey.write(given);
    setKey(given);
  };
  callWith(key);
  if (key === undefined) {
    return (
      <>
        <Bar page="Dashboard" />
        <SignIn onSignIn={keep} />
      </>
    );
  }
  return (
    <SignOut.Provider value={() => keep(undefined)}>
      <Router hook={useAddress}>
        <Sections />
      </Router>
    </SignOut.Provider>
  );
}

const sections = [
  ["/overview", "Overview"],
  ["/tenants", "Tenants"],
  ["/tasks", "Tasks"],
  ["/webhooks", "Webhooks"],
  ["/audit", "Audit"],
] as const;

function Sections() {
  const signOut = useSignOut();
  return (
    <>
      <Bar page="Dashboard">
        <nav aria-label="Sections">
          {sections.map(([path, name]) => (
            <SectionLink key={path} path={path} name={name} />
          ))}
        </nav>
        <span class="end">
          <nav aria-label="Pages" class="pages">
            <a href="/">Playground</a>
            <a href="/docs">API reference</a>
          </nav>
          <button type="button" class="quiet" onClick={signOut}>
            Sign out
          </button>
        </span>
      </Bar>
      <main>
        <Switch>
          <Route path="/overview" component={Overview} />
          <Route path="/tenants" component={Tenants} />
          <Route path="/tenants/:id">{({ id }) => <Tenant key={id} id={id} />}</Route>
          <Route path="/tasks" component={Tasks} />
          <Route path="/tasks/:id">{({ id }) => <Task key={id} id={id} />}</Route>
          <Route path="/webhooks" component={Webhooks} />
          <Route path="/audit" component={Audit} />
          <Route>
            <Redirect to="/overview" />
          </Route>
        </Switch>
      </main>
    </>
  );
}

function SectionLink({ path, name }: { path: string; name: string }) {
  const [isHere] = useRoute(`${path}/*?`);
  return (
    <Link href={path} aria-current={isHere ? "page" : undefined}>
      {name}
    </Link>
  );
}

start(<Dashboard />);
