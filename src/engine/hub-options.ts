export interface HubOptions {
  /** of a Hub repository: branch, tag or commit */
  revision?: string;
  /** of a Hub repository that is not public; sent to the Hub only */
  token?: string;
  /** address of the Hub, or of what stands for it; https://huggingface.co when absent */
  hub?: string;
}
