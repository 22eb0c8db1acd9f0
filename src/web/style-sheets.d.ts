/** A component imports its style sheet, and the build puts all that a page imports into the page's own. */
declare module "*.css";
