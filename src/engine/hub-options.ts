/** Where on the Hugging Face Hub a model is. For other models these throw invalid-option. */
export interface HubOptions {
  /** Branch, tag or commit. Default: 'main'. */
  revision?: string;
  /** Access token for a repository that is not public; sent to the Hub only, and never stored. Default: none. */
  token?: string;
  /** Address of the Hub, or of what stands for it. Default: https://huggingface.co. */
  hub?: string;
}
